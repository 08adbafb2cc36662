"""Holds requests while a fleet is at zero, and wakes it.

An asyncio proxy in the data path only while an AIApi is at zero and while it wakes. One port per
AIApi: the EndpointSlice that the operator adds maps the Service's port to it, so no Host header is
read. Waking needs the Kubernetes API but not the operator.
"""
