# Operator image. Build: docker build -t ghcr.io/aiapi-dev/operator:0.1.0 .
FROM python:3.13-slim-trixie AS build
WORKDIR /src
RUN python -m venv /opt/aiapi
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY demo demo
COPY operator operator
COPY sandbox sandbox
COPY service service
RUN /opt/aiapi/bin/pip install --no-cache-dir --disable-pip-version-check \
    --constraint requirements.lock '.[operator]'

FROM python:3.13-slim-trixie
LABEL org.opencontainers.image.title="aiapi-operator" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/aiapi /opt/aiapi
ENV PATH=/opt/aiapi/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /tmp
# Some programs, such as Postgres, require that their user has a passwd entry.
RUN echo 'aiapi:x:65532:65532::/tmp:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'aiapi:x:65532:' >> /etc/group
# A numeric UID: the kubelet cannot verify that a user name is not root.
USER 65532:65532
ENTRYPOINT ["aiapi-operator"]
