"""Documentation that the modules of the runbook share."""

from __future__ import annotations

from textwrap import indent

_CONNECTION = r"""
host:
  description: Host name or address of the server.
  type: str
  required: true
port:
  description: Port of the server.
  type: int
  default: 5432
dbname:
  description: Name of the database.
  type: str
  required: true
user:
  description: Role to connect as.
  type: str
  required: true
passfile:
  description: libpq password file on the runner, mode 0600.
  type: path
sslmode:
  description: libpq's sslmode; use V(verify-full) in production.
  type: str
  default: prefer
  choices: [disable, allow, prefer, require, verify-ca, verify-full]
sslrootcert:
  description: File with the CA's certificates.
  type: path
sslcert:
  description: Client certificate.
  type: path
sslkey:
  description: Key of the client certificate.
  type: path
connect_timeout:
  description: Seconds to wait for a connection.
  type: int
  default: 10
"""


class ModuleDocFragment:
    """The options of ``consolidation.arguments``."""

    DOCUMENTATION = (
        r"""
options:
  database:
    description: The service database, as the inventory variable C(consolidation_database) describes it.
    type: dict
    required: true
    suboptions:
      name:
        description: Name of the target schema and of the Alembic lineage.
        type: str
        required: true
      source: &connection
        description: How the runbook's role reaches the database. The password is in the passfile.
        type: dict
        required: true
        suboptions:
"""
        + indent(_CONNECTION, 10 * " ")
        + r"""      source_schema:
        description: Schema of the source that holds the tables.
        type: str
        default: public
      tables:
        description: Tables to migrate; empty means all of the source schema.
        type: list
        elements: str
        default: []
      mode:
        description:
          - V(window) refuses writes from the fence on until the cutover. V(online) follows the source while it is
            written and refuses writes for the change-over only.
        type: str
        choices: [window, online]
        default: window
      application_roles:
        description: Roles the service writes with on the source.
        type: list
        elements: str
        default: []
      target: *connection
      target_roles:
        description: Roles that read and write the target schema after the cutover.
        type: list
        elements: str
        default: []
author:
  - The storage consolidation team (@storage-consolidation)
"""
    )

    RUN = r"""
options:
  run_id:
    description:
      - The run that this command has begun, as M(storage.consolidation.run_journal) returned it.
      - Anything else is refused.
      - In check mode it may be empty.
    type: str
    required: true
"""

    ROUNDS = r"""
options:
  lag_seconds:
    description:
      - What a round may take before the side that is followed is closed; about what the last one adds to the outage.
    type: float
    default: 0.5
  tries:
    description: Rounds without getting there, before it is given up with the figures. Nothing was closed then.
    type: int
    default: 60
"""

    CHANGE_OVER = r"""
options:
  timeout_seconds:
    description: How long to wait for open transactions, on every side that is closed or opened.
    type: float
    default: 60
  pause_seconds:
    description: Pause between two rounds.
    type: float
    default: 0.2
  budget_seconds:
    description:
      - What it may take from the first lock on the side that is followed to the opening of the other one. Over it the
        followed side is opened again.
    type: float
    default: 10
"""

    DRILL = r"""
options:
  drill:
    description:
      - Connection to the server for the restore drill. The role needs CREATEDB there.
      - Its database is connected to for creating the scratch database.
      - Without it the drill takes place on the target's server.
    type: dict
    suboptions:
""" + indent(_CONNECTION, 6 * " ")
