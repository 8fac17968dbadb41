"""The catalogue of preflight's findings: their ids are stable. docs/preflight.md is generated from it."""

from __future__ import annotations

from consolidation.preflight.findings import BLOCKER, INFO, WARNING, Finding, Kind


def found(kind: str, subject: str, what: str, fix: str) -> Finding:
    """A finding of a kind of the catalogue."""
    return Finding(kind, KINDS[kind].severity, subject, what, fix)


def markdown() -> str:
    """The catalogue as the table of docs/preflight.md."""
    rows = [
        f"| `{kind.id}` | {kind.severity}{'*' if kind.acceptable else ''} | {kind.meaning} |\n" for kind in CATALOGUE
    ]
    return "| Id | Severity | Meaning |\n|---|---|---|\n" + "".join(rows)


_BOTH_SIDES = (
    ("check.failed", BLOCKER, "A check could not be made; what it would have found is unknown."),
    ("connection.failed", BLOCKER, "The server could not be reached, or refused the login."),
    ("connection.unencrypted", WARNING, "The connection crosses a network without TLS."),
    ("connection.unverified", INFO, "TLS is on, but sslmode does not prove which server answers."),
    ("login.not_tried", INFO, "Preflight ran as a read-only role: the login of the runbook's own role was not tried."),
    ("version.unsupported", BLOCKER, "The server is older than any version the runbook supports."),
    ("version.untested", WARNING, "The server is newer than any version the runbook was tested with."),
    ("standby", BLOCKER, "The server is a standby; nothing can be written there."),
    ("encoding.unchecked", BLOCKER, "The database is SQL_ASCII: no one knows the encoding of its text."),
    ("collation.version", WARNING, "A collation changed below its indexes (an upgrade of libc or ICU)."),
    ("connections.few", WARNING, "Fewer connections are left than a run opens."),
    (
        "role.setting",
        BLOCKER,
        "A setting of the runbook's role lets rows vanish unseen, and only a superuser can change it.",
    ),
    ("standby.synchronous_away", BLOCKER, "Commits wait for a synchronous standby, and none follows."),
    ("locks.few", WARNING, "The server has little room for the locks of all tables in one transaction."),
    ("role.missing", BLOCKER, "The runbook's role does not exist."),
    ("role.cannot_connect", BLOCKER, "The runbook's role may not log in to the database."),
    ("role.cannot_create_schema", BLOCKER, "The runbook's role may not create a schema it needs."),
    ("role.cannot_create_temporary", BLOCKER, "The runbook's role may not create the temporary tables it needs."),
    ("role.cannot_use_schema", BLOCKER, "A schema that the runbook needs is there, and its role may not use it."),
    ("role.cannot_fence", BLOCKER, "The runbook's role does not act as the owner of a table: no fence, no rollback."),
    ("role.cannot_probe", BLOCKER, "The fence cannot be probed as a role of the application."),
    ("role.cannot_see_sessions", WARNING, "The runbook could not name who holds the fence up."),
    ("role.timeout", WARNING, "A setting of the role would cut long statements or transactions."),
    ("application_role.missing", BLOCKER, "A role of the application, as the inventory names it, does not exist."),
    (
        "application_role.none",
        WARNING,
        "The inventory names no role of the application: the fence is not probed as one.",
    ),
    ("activity.hidden", WARNING, "Sessions of other roles are hidden: long transactions could not be looked for."),
    ("transaction.long", WARNING, "A transaction has been open for long; the fence waits for those that have written."),
    ("transaction.prepared", BLOCKER, "A prepared transaction holds its locks until it is committed or rolled back."),
    ("lock.held", WARNING, "A session holds a strong lock on a table."),
)

_SOURCE = (
    ("source.role.cannot_create_database", WARNING, "Restoring a lost source from its backup would need CREATEDB."),
    ("source.role.cannot_read", BLOCKER, "The runbook's role may not read everything: the backup would fail."),
    ("source.role.cannot_write", BLOCKER, "Rollback could not bring writes back into a table."),
    ("source.role.row_security", BLOCKER, "Row security would hide rows from the runbook's role."),
    ("source.table.none", BLOCKER, "The source schema has no tables."),
    (
        "source.table.partition_elsewhere",
        BLOCKER,
        "A partition whose root is in another schema: its rows are not copied.",
        True,
    ),
    (
        "source.sequence.elsewhere",
        BLOCKER,
        "A column draws its numbers from a sequence of another schema: they are not handed over.",
        True,
    ),
    (
        "source.rule.instead",
        WARNING,
        "A rule takes statements elsewhere: the fence refuses them only where that is one of its tables.",
    ),
    ("source.table.missing", BLOCKER, "A table that the inventory names does not exist."),
    ("source.table.left_behind", WARNING, "A table of the source schema is not among the tables to migrate."),
    ("source.table.no_primary_key", WARNING, "Rows without a key can be counted, but differences cannot be named."),
    ("source.table.age", WARNING, "A wraparound autovacuum is near or runs; the fence would wait until it ends."),
    ("source.table.unlogged", WARNING, "An unlogged table: a crash of the source would empty it."),
    ("source.extension.missing", BLOCKER, "An extension that the tables use is not installed in the target."),
    ("source.extension.schema", WARNING, "An extension that the tables use is in another schema of the target."),
    ("source.extension.unused", INFO, "An extension that no table uses stays behind."),
    ("source.not_in_force", WARNING, "A constraint is not validated, an index not valid or a trigger disabled."),
    ("source.fence.left", INFO, "Open fence triggers or the fence's schema of a former run; they are used again."),
    ("source.backup.value_too_large", BLOCKER, "A value is too large to be dumped, compared and copied."),
    ("source.backup.value_not_measured", INFO, "A large table: numbers that print far longer were not looked for."),
    ("source.document.large", WARNING, "A document is larger than a body that the Storage Service takes by default."),
    ("source.document.not_measured", INFO, "Many compressed documents: whether one is as large was not looked for."),
    ("source.backup.function", BLOCKER, "An expression of a table calls a function that fails in every restore."),
    ("source.backup.check_reads", WARNING, "A CHECK calls a function that may read other tables: it may not restore."),
    ("source.backup.extension", BLOCKER, "The restore drill cannot create an extension that the tables need."),
    ("source.backup.definitions", BLOCKER, "pg_dump fails on the database's definitions: the backup would fail."),
    (
        "source.backup.column_option",
        BLOCKER,
        "pg_dump is older than the source's minor release: its dump would not restore.",
    ),
    ("source.backup.not_restored", WARNING, "An object that the dump lacks, or that the restore drill leaves out."),
    ("source.grant.left", INFO, "Rights of other roles and rights on columns stay behind."),
    ("source.setting.left", INFO, "Settings of the database or of a role stay behind."),
    ("source.setting.results", WARNING, "A setting stays behind that changes what statements mean or return."),
    ("source.comment.left", INFO, "Comments stay behind."),
    ("source.replica_identity.left", INFO, "A replica identity stays behind: subscribers of the target may need it."),
    ("source.storage_parameter.left", INFO, "Storage parameters or statistics targets stay behind."),
    ("source.capture.cost", INFO, "What mode online costs the writers; a rehearsal measures it on the server."),
    ("source.capture.left", WARNING, "Triggers and noted keys of an earlier run or rehearsal; they cost every writer."),
)

_SOURCE_OBJECTS = (
    ("view", BLOCKER, "A view has no counterpart in the lineage."),
    ("materialized_view", BLOCKER, "A materialized view has no counterpart in the lineage."),
    ("foreign_table", BLOCKER, "A foreign table: its rows are elsewhere and are not copied."),
    ("function", BLOCKER, "A function, procedure or aggregate has no counterpart in the lineage."),
    ("trigger", BLOCKER, "A trigger has no counterpart in the lineage: what it does would stop."),
    ("rule", BLOCKER, "A rewrite rule has no counterpart in the lineage."),
    ("policy", BLOCKER, "A row security policy has no counterpart in the lineage: rows would become visible."),
    ("check", BLOCKER, "A CHECK constraint has no counterpart in the lineage."),
    ("exclusion", BLOCKER, "An exclusion constraint has no counterpart in the lineage."),
    ("sequence", BLOCKER, "A sequence that no column owns has no counterpart in the lineage."),
    ("type", BLOCKER, "An enum, domain, composite or range type has no counterpart in the lineage."),
    ("partitioned_table", BLOCKER, "A partitioned table, or a partition of one, has no counterpart in the lineage."),
    ("inheritance", BLOCKER, "Tables inherit from each other, those of the lineage do not."),
    ("large_object", BLOCKER, "Large objects are not copied."),
    ("publication", BLOCKER, "A publication sends the tables to a subscriber: it would receive nothing more."),
    (
        "subscription",
        BLOCKER,
        "A subscription writes into the database: the closed fence stops it.",
    ),
    ("event_trigger", BLOCKER, "An event trigger would run on the runbook's own DDL."),
    ("other", BLOCKER, "An object of a sort that preflight does not know."),
    ("differs", WARNING, "An object of the same name is defined differently in the target."),
    ("announced", INFO, "Pending revisions make objects of the same names; they are compared once they are built."),
    ("other_schema", WARNING, "Tables in other schemas of the database are not migrated."),
    ("index", INFO, "An index has no counterpart in the lineage; queries may become slower."),
    ("statistics", INFO, "Extended statistics have no counterpart in the lineage."),
    ("default_privileges", INFO, "Default privileges stay behind; the inventory's target_roles get theirs."),
)

_SCHEMA = (
    ("schema.table.extra", BLOCKER, "The lineage has no table for one of the source."),
    ("schema.table.missing", WARNING, "The source has no table for one of the lineage; it stays empty."),
    ("schema.column.extra", BLOCKER, "The lineage has no column for one of the source: its values would be lost."),
    ("schema.column.missing", BLOCKER, "The source has no column for one of the lineage."),
    ("schema.column.type", BLOCKER, "Values of the source's type do not fit the lineage's type without loss."),
    ("schema.column.no_type", BLOCKER, "The models give a column no type, or one that PostgreSQL does not know."),
    ("schema.column.json_converted", WARNING, "json and jsonb: values stay equal, spelling and key order may change."),
    (
        "schema.column.widened",
        WARNING,
        "The lineage's type holds values that the source's does not: no rollback with one.",
    ),
    ("schema.column.shorter", INFO, "The lineage's type is shorter; every value fits today."),
    ("schema.column.stricter", INFO, "The lineage demands NOT NULL; there is no NULL today."),
    ("schema.column.looser", WARNING, "The lineage allows NULL where the source does not: no rollback with one."),
    ("schema.column.generated", BLOCKER, "Generated on one side only: values would be missing, or replaced."),
    ("schema.column.expression", WARNING, "The expressions of a generated column look different."),
    ("schema.column.unnumbered", BLOCKER, "The source numbers new rows (serial, identity); the lineage does not."),
    ("schema.column.numbering", INFO, "New rows are numbered in another way (serial, identity)."),
    ("schema.column.default", INFO, "The column's defaults differ."),
    (
        "schema.column.collation",
        WARNING,
        "The column sorts and compares by a collation of its own; the lineage's does not.",
    ),
    (
        "schema.column.object_identifier",
        BLOCKER,
        "A column of type regclass and its like names objects of the source's database; the target may lack them.",
        True,
    ),
    ("schema.primary_key.differs", BLOCKER, "The primary keys are of different columns."),
    ("schema.primary_key.added", INFO, "The lineage has a primary key, the source has none; the values are unique."),
    ("schema.unique.extra", BLOCKER, "A unique constraint or index has no counterpart in the lineage.", True),
    ("schema.unique.stricter", INFO, "The lineage has a unique constraint that the source lacks; it holds today."),
    ("schema.foreign_key.extra", BLOCKER, "A foreign key has no counterpart in the lineage.", True),
    ("schema.foreign_key.action", WARNING, "A foreign key acts differently on UPDATE or DELETE, or is checked later."),
    ("schema.foreign_key.stricter", INFO, "The lineage has a foreign key that the source lacks; it holds today."),
    ("schema.check.stricter", INFO, "The lineage has a CHECK constraint that the source lacks; it holds today."),
    ("schema.enum.labels", BLOCKER, "An enum of the source has labels that the lineage's lacks."),
    ("schema.enum.looser", WARNING, "An enum of the lineage has labels that the source's lacks: no rollback with one."),
    ("schema.move.differs", BLOCKER, "Tables that are moved must equal the lineage before: a move converts nothing."),
    ("data.null", BLOCKER, "NULLs where the lineage demands NOT NULL."),
    ("data.too_long", BLOCKER, "Strings longer than the lineage's column."),
    ("data.not_jsonb", BLOCKER, "json values that jsonb refuses: \\u0000, lone surrogates, out-of-range numbers."),
    ("data.orphan", BLOCKER, "Rows that refer to a row that does not exist."),
    (
        "data.reference_unchecked",
        WARNING,
        "Rows refer to a table outside the lineage; no one has looked whether it has them.",
    ),
    ("data.duplicate", BLOCKER, "Rows that share a key which is unique in the lineage."),
    ("data.check_violated", BLOCKER, "Rows that violate a CHECK constraint of the lineage."),
)

_TARGET = (
    ("target.application_role.read_only", BLOCKER, "A role that is to write the target begins read-only."),
    ("target.application_role.cannot_connect", BLOCKER, "A role that is to write the target may not connect to it."),
    ("target.object.subscription", BLOCKER, "A subscription writes into the target's tables, past the copy.", True),
    ("target.version.older", BLOCKER, "The target's server is older than the source's."),
    ("target.encoding.differs", BLOCKER, "The databases have different encodings."),
    ("target.collation.differs", WARNING, "The databases sort text differently."),
    ("target.stack_depth", WARNING, "Documents may be nested less deeply on the target than on the source."),
    ("target.role.cannot_create_database", BLOCKER, "The restore drill needs CREATEDB."),
    (
        "target.role.row_security",
        WARNING,
        "Forced row security would hide rows of the target from the runbook.",
    ),
    ("target.table.not_empty", BLOCKER, "A target table holds rows, and no run put them there."),
    ("target.table.unknown", BLOCKER, "The target schema has a table that the lineage does not have."),
    ("target.lineage.not_stamped", BLOCKER, "Tables of the lineage exist, but no revision of it is recorded."),
    ("target.lineage.unknown_revision", BLOCKER, "The target is at a revision that this release does not know."),
    ("target.lineage.pending", INFO, "Revisions that the schema phase will apply."),
    ("target.rows.left", INFO, "Rows of a run that was rolled back; the copy will empty the tables first."),
    ("target.lz4.missing", INFO, "No lz4 compression: the copy will be slower."),
    ("target.disk.not_visible", INFO, "SQL cannot see the server's free disk space; the estimate of what is needed."),
)

_RUN = (
    (
        "run.no_backup",
        WARNING,
        "No backup in the run, or left out of this command: no rollback once the source is lost.",
    ),
    ("run.unfinished", INFO, "A run is unfinished; migrate.yml will resume it."),
    ("run.behind_fence", INFO, "Writes are refused by this run; it resumes, and preflight is not repeated."),
    ("run.migrated", INFO, "The database is migrated already."),
    ("run.finalized", INFO, "The database is migrated and its source is retired; nothing else is examined."),
    (
        "run.conflict",
        BLOCKER,
        "Both sides are not as the run says: the journal was lost or is older, or a fence was lifted by hand.",
    ),
    ("run.rolling_back", BLOCKER, "A rollback is unfinished."),
    ("run.rolled_back", INFO, "The last run was rolled back; migrate.yml will begin a new one."),
)

_REHEARSAL = (
    (
        "rehearsal.missing",
        INFO,
        "No rehearsal has measured how long the window takes; a blocker where one is required.",
    ),
    ("rehearsal.outdated", WARNING, "The rehearsal was of other versions or another lineage, or too long ago; so too."),
)

_RUNNER = (
    ("runner.check.failed", BLOCKER, "A check of the runner could not be made."),
    ("runner.lineage.missing", BLOCKER, "The runner has no models or no Alembic lineage of that name."),
    ("runner.tool.missing", BLOCKER, "A PostgreSQL client program is missing or does not run."),
    ("runner.tool.too_old", BLOCKER, "pg_dump and its kin refuse servers that are newer than they are."),
    ("runner.passfile.missing", BLOCKER, "The passfile does not exist or cannot be read."),
    ("runner.passfile.open", BLOCKER, "Others may read the passfile: libpq ignores it."),
    ("runner.backup.directory", BLOCKER, "The backup directory cannot be written."),
    ("runner.backup.space", BLOCKER, "The backup directory has less free space than the dump may need."),
)

_ONLINE = (
    ("online.table.no_key", INFO, "A small table without a key: followed by comparing it whole."),
    ("online.table.no_key_large", BLOCKER, "A large table without a key: it would be compared whole in the outage."),
    ("online.table.unlogged", BLOCKER, "An unlogged table: a crash empties it unseen by the capture."),
    ("online.key.other", BLOCKER, "The key on the source is not the lineage's: noted keys name no row there."),
    ("online.publication", BLOCKER, "A publication of all tables would send the noted keys to its subscribers."),
)

_SERVICES = (
    ("service.config.missing", BLOCKER, "A service's configuration file does not exist or cannot be read."),
    ("service.config.not_writable", BLOCKER, "A service's configuration file could not be replaced."),
    ("service.config.unexpected", BLOCKER, "A configuration does not parse, or its section is not as expected."),
    ("service.health.failing", BLOCKER, "A service is not healthy before anything was done."),
    ("service.health.not_yet", WARNING, "A service is not healthy whose cutover was cut off; the run goes on with it."),
    ("service.restart.unknown", BLOCKER, "The inventory does not say how a service is restarted."),
    ("service.release.missing", BLOCKER, "The release for after the cutover is not there."),
    ("service.release.no_link", BLOCKER, "The link to the running release is missing."),
    ("service.release.requirements", BLOCKER, "The release still talks to a database, or cannot talk to the service."),
    ("service.release.wheelhouse", BLOCKER, "The release is not built, and cannot be built without the network."),
    ("storage_service.caller.missing", BLOCKER, "The Storage Service lets no service use the database."),
    ("storage_service.health.no_answer", WARNING, "The Storage Service does not answer: it is down, or elsewhere."),
    ("storage_service.health.not_ready", INFO, "The Storage Service is not ready yet; the schema phase changes that."),
)

CATALOGUE: tuple[Kind, ...] = (
    *(Kind(f"{side}.{name}", grade, text) for side in ("source", "target") for name, grade, text in _BOTH_SIDES),
    *(Kind(*entry) for entry in _REHEARSAL),
    *(Kind(*entry) for entry in _SOURCE),
    *(Kind(f"source.object.{name}", grade, text, grade == BLOCKER) for name, grade, text in _SOURCE_OBJECTS),
    *(Kind(*entry) for entry in (*_SCHEMA, *_TARGET, *_RUN, *_RUNNER, *_ONLINE, *_SERVICES)),
)

KINDS = {kind.id: kind for kind in CATALOGUE}
