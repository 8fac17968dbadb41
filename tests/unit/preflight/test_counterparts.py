"""What SQL makes, by its words."""

from __future__ import annotations

import pytest

from consolidation.preflight.counterparts import announced


@pytest.mark.parametrize(
    ("statement", "made"),
    [
        ("CREATE VIEW s.v AS SELECT 1", {("view", "v")}),
        ('create or replace\nview "S"."V ""x" as', {("view", 'V "x')}),
        ("CREATE RECURSIVE VIEW v (a)", {("view", "v")}),
        ("CREATE MATERIALIZED  VIEW IF NOT EXISTS V AS", {("materialized view", "v")}),
        ("CREATE OR REPLACE FUNCTION s.f(a int) RETURNS", {("function", "f")}),
        ("CREATE CONSTRAINT TRIGGER tr AFTER INSERT ON s.t", {("trigger", "tr")}),
        ("CREATE POLICY p ON s.t", {("policy", "p")}),
        ("CREATE DOMAIN s.d AS int", {("type", "d")}),
        ("CREATE TYPE s.d AS ENUM ()", {("type", "d"), ("composite type", "d")}),
        ("ALTER TABLE s.t ADD CONSTRAINT c CHECK (a > 0)", {("check constraint", "c")}),
        ("CONSTRAINT x EXCLUDE USING gist", {("exclusion constraint", "x")}),
        ("CREATE TABLE s.t (a int) PARTITION BY RANGE (a);", {("partitioned table", "t")}),
        ("CREATE TABLE a (b int); CREATE TABLE t () INHERITS (a)", {("inheritance", "t")}),
        ("CREATE TABLE t (created int); ALTER TABLE t ADD CONSTRAINT k UNIQUE (created)", set()),
        ("DROP VIEW v; COMMENT ON FUNCTION f IS 'x'", set()),
    ],
)
def test_what_is_made(statement: str, made: set[tuple[str, str]]) -> None:
    assert announced(statement) == made
