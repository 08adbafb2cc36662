CREATE TABLE users (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name = lower(name)),
    tenant text NOT NULL,
    password_hash text,
    scopes text[] NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    disabled timestamptz
);

CREATE TABLE api_keys (
    id text PRIMARY KEY,
    digest bytea NOT NULL,
    owner uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name text NOT NULL,
    scopes text[] NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    expires timestamptz,
    revoked timestamptz
);
CREATE INDEX api_keys_owner ON api_keys (owner);

-- A session is what one log-in began: all refresh tokens that came of it, and its access tokens.
CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    owner uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    scopes text[] NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    expires timestamptz NOT NULL,
    revoked timestamptz
);
CREATE INDEX sessions_owner ON sessions (owner);
CREATE INDEX sessions_expires ON sessions (expires);

CREATE TABLE refresh_tokens (
    digest bytea PRIMARY KEY,
    session uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    expires timestamptz NOT NULL,
    used timestamptz,
    uses integer NOT NULL DEFAULT 0
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session);

-- Not worth a write-ahead log: after a crash everybody starts with a full bucket.
CREATE UNLOGGED TABLE rate_limits (
    bucket bytea PRIMARY KEY,
    arrival timestamptz NOT NULL,
    granted boolean NOT NULL
);
CREATE INDEX rate_limits_arrival ON rate_limits (arrival);
