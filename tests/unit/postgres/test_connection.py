"""What the operator is told when a server cannot be reached."""

from __future__ import annotations

from consolidation.postgres.connection import Settings, hint_of

SETTINGS = Settings("db.example", "campaign", "consolidation", 5433, sslmode="verify-full", sslrootcert="/etc/ca.crt")


def test_a_refused_certificate_is_named_with_the_command_that_tells_why() -> None:
    hint = hint_of(SETTINGS, "connection to server failed: SSL error: certificate verify failed")
    assert "certificate has expired" in hint
    assert "openssl s_client -starttls postgres -connect db.example:5433 -CAfile /etc/ca.crt" in hint


def test_anything_else_gets_the_list_of_what_to_look_at() -> None:
    assert "pg_hba.conf" in hint_of(SETTINGS, "connection refused")
