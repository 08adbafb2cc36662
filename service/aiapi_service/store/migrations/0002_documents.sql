CREATE EXTENSION IF NOT EXISTS vector;

-- The vectors of different models have different lengths and cannot be compared: the column takes
-- any length, each row says its model, and an index is made for a length when it is first used.
CREATE TABLE documents (
    tenant text NOT NULL,
    id text NOT NULL,
    content text NOT NULL,
    metadata jsonb NOT NULL,
    model text NOT NULL,
    embedding vector NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, id)
);
CREATE INDEX documents_metadata ON documents USING gin (metadata jsonb_path_ops);

CREATE TABLE chats (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    subject text NOT NULL,
    created timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX chats_tenant ON chats (tenant);

CREATE TABLE answers (
    id uuid PRIMARY KEY,
    chat uuid NOT NULL REFERENCES chats ON DELETE CASCADE,
    question text NOT NULL,
    answer text NOT NULL,
    model text NOT NULL,
    sources jsonb NOT NULL,
    usage jsonb NOT NULL,
    created timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX answers_chat ON answers (chat, created DESC);
