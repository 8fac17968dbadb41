"""A source schema's DDL with another schema's name."""

from __future__ import annotations

import pytest

from consolidation.adopt.ddl import renamed

DUMP = """--
-- PostgreSQL database dump
--

\\restrict abc
SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Name: public; Type: SCHEMA
--

CREATE SCHEMA public;


COMMENT ON SCHEMA public IS 'standard public schema';


CREATE FUNCTION public.f() RETURNS text
    LANGUAGE plpgsql
    AS $_$
BEGIN
-- SET search_path
  SET x = 1;
SET y = 2;
  RETURN 'republic.t' || public.g();
END $_$;


COMMENT ON TABLE public.t IS 'one
SET two
-- three';
"""
MADE = """CREATE FUNCTION svc_db.f() RETURNS text
    LANGUAGE plpgsql
    AS $_$
BEGIN
-- SET search_path
  SET x = 1;
SET y = 2;
  RETURN 'republic.t' || svc_db.g();
END $_$;

COMMENT ON TABLE svc_db.t IS 'one
SET two
-- three';
"""


def test_preamble_and_schema_are_left_out_and_bodies_kept() -> None:
    assert renamed(DUMP.replace("\\\\", "\\"), "public", "svc_db", frozenset()) == MADE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CREATE TABLE public.t (v public.vector(3));", "CREATE TABLE s.t (v public.vector(3));"),
        ("SELECT public.vector_dims(a), public.mine(b) x;", "SELECT public.vector_dims(a), s.mine(b) x;"),
        ("CHECK ((e OPERATOR(public.<>) 1))", "CHECK ((e OPERATOR(public.<>) 1))"),
        ('ALTER TABLE ONLY public."Order" ADD x int;', 'ALTER TABLE ONLY s."Order" ADD x int;'),
        ("DEFAULT nextval('public.t_no_seq'::regclass)", "DEFAULT nextval('s.t_no_seq'::regclass)"),
        ("other.public.t, a.public, publication.t", "other.public.t, a.public, publication.t"),
    ],
)
def test_only_the_schemas_own_names_change(text: str, expected: str) -> None:
    names = frozenset({"vector", "vector_dims", ""})
    assert renamed(f"{text}\n", "public", "s", names) == f"{expected}\n"


def test_a_schema_whose_name_needs_quotes() -> None:
    assert renamed('CREATE TABLE "App data"."T" ();', "App data", "s", frozenset()) == 'CREATE TABLE s."T" ();\n'
