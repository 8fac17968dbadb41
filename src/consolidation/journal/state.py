"""The state of a database's run, and what each phase is to do in it: one table.

``read`` takes the run with its phases from the journal; ``RunState.decide`` says for each phase whether it goes ahead
(Go), has nothing to do (Skip) or must not begin (Refuse). ``docs/states.md`` is this table, printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from psycopg2.extensions import connection as Connection

from consolidation.compare.result import EQUAL, NOT_COMPARED
from consolidation.errors import StepRefused
from consolidation.journal.decisions import After, Decision, Refuse, Skip, Standing, table
from consolidation.journal.records import (
    MIGRATED,
    MIGRATING,
    ROLLED_BACK,
    ROLLING_BACK,
    PhaseRecord,
    Run,
    latest_run,
    phases,
)
from consolidation.journal.results import (
    BackupResult,
    CopyResult,
    CutoverResult,
    FenceResult,
    FinalizeResult,
    Phase,
    ProofResult,
    ReconcileResult,
    ResolveResult,
    RestoreResult,
    SchemaResult,
    VerifyResult,
)
from consolidation.model import SOURCE, TARGET, Database
from consolidation.modes.copy import COPY
from consolidation.modes.strategy import Strategy


@dataclass(frozen=True)
class RunState:
    """The newest run of a database with its phases, as the journal has them."""

    database: str
    run: Run | None = None
    phases: Mapping[str, PhaseRecord] = field(default_factory=dict)
    strategy: Strategy = COPY

    def done(self, phase: Phase) -> bool:
        """Whether the journal has the phase as done."""
        return phase in self.phases and self.phases[phase].state == "done"

    def _result(self, phase: Phase) -> Mapping[str, object]:
        return self.phases[phase].result if phase in self.phases else {}

    @property
    def fence(self) -> FenceResult:
        """Result of phase fence; of defaults where there is none. So are those below."""
        return FenceResult.from_json(self._result(Phase.FENCE))

    @property
    def target_fence(self) -> FenceResult:
        """Result of phase rollback_fence."""
        return FenceResult.from_json(self._result(Phase.ROLLBACK_FENCE))

    @property
    def source_opening(self) -> FenceResult:
        """Result of phase rollback_open."""
        return FenceResult.from_json(self._result(Phase.ROLLBACK_OPEN))

    @property
    def backup(self) -> BackupResult:
        """Result of phase backup."""
        return BackupResult.from_json(self._result(Phase.BACKUP))

    @property
    def schema(self) -> SchemaResult:
        """Result of phase schema."""
        return SchemaResult.from_json(self._result(Phase.SCHEMA))

    @property
    def copy(self) -> CopyResult:
        """Result of phase copy."""
        return CopyResult.from_json(self._result(Phase.COPY))

    @property
    def verification(self) -> VerifyResult:
        """Result of phase verify."""
        return VerifyResult.from_json(self._result(Phase.VERIFY))

    @property
    def cutover(self) -> CutoverResult:
        """Result of phase cutover."""
        return CutoverResult.from_json(self._result(Phase.CUTOVER))

    @property
    def reconciliation(self) -> ReconcileResult:
        """Result of phase reconcile."""
        return ReconcileResult.from_json(self._result(Phase.RECONCILE))

    @property
    def restore(self) -> RestoreResult:
        """Result of phase rollback_restore."""
        return RestoreResult.from_json(self._result(Phase.ROLLBACK_RESTORE))

    @property
    def resolution(self) -> ResolveResult:
        """Result of phase resolve."""
        return ResolveResult.from_json(self._result(Phase.RESOLVE))

    @property
    def finalization(self) -> FinalizeResult:
        """Result of phase finalize."""
        return FinalizeResult.from_json(self._result(Phase.FINALIZE))

    @property
    def resolving(self) -> bool:
        """Whether a resolution was begun and has not come to its end."""
        return Phase.RESOLVE in self.phases and not self.done(Phase.RESOLVE)

    @property
    def cut_over(self) -> bool:
        """Whether the run ever began to open the target."""
        return Phase.CUTOVER in self.phases

    @property
    def writes_refused(self) -> bool:
        """Whether the source was closed by this run and nothing was opened since: the write outage lasts.

        So it is where a change-over was killed; one that has failed has opened the source again.
        """
        killed = Phase.FENCE in self.phases and self.phases[Phase.FENCE].state == "running"
        since = self.fence.closing_at if killed else self.fence.closed_at if self.done(Phase.FENCE) else None
        return self.standing == Standing.MIGRATING and since is not None

    @property
    def authoritative(self) -> str:
        """``source`` or ``target``: the side that may hold rows which the other does not have.

        The target is once it was opened, and where the source was restored from a dump older than the copy.
        """
        restored = self.done(Phase.ROLLBACK_RESTORE)
        copied = self.done(Phase.COPY) and not self.copy.emptied
        return TARGET if self.cut_over or (restored and copied) else SOURCE

    @property
    def reconciled(self) -> bool:
        """Whether this rollback has brought every row back to the source."""
        if not self.strategy.two_copies:
            return self.done(Phase.ROLLBACK_COPY)
        return self.done(Phase.RECONCILE) and self.reconciliation.to == SOURCE

    @property
    def verified(self) -> bool:
        """Whether the copy that the target has now was found equal behind the fence that the source has now."""
        found = self.verification
        return (
            self.done(Phase.VERIFY)
            and found.outcome == EQUAL
            and None not in (found.fence_epoch, found.copy_id)
            and (found.fence_epoch, found.copy_id) == (self.fence.fence_epoch, self.copy.copy_id)
        )

    @property
    def proved(self) -> bool:
        """Whether every row of the source was found on the target: what has to be so before the source goes.

        Behind the fence. Of a source that is followed no more was compared there than the last round's keys, so once
        more on the open target, as far as it can be (a table without a key that was written since cannot).
        """
        if not self.strategy.follows:
            return self.verified
        found = ProofResult.from_json(self._result(Phase.PROOF))
        return self.verified and self.done(Phase.PROOF) and found.outcome in (EQUAL, NOT_COMPARED)

    @property
    def standing(self) -> Standing:
        """Where the run stands."""
        target = self.authoritative == TARGET
        match self.run.state if self.run else None:
            case None:
                return Standing.NO_RUN
            case state if state == MIGRATING:
                return Standing.OPENED if target else Standing.MIGRATING
            case state if state == MIGRATED:
                return Standing.FINALIZED if Phase.FINALIZE in self.phases else Standing.MIGRATED
            case state if state == ROLLING_BACK:
                if not target:
                    return Standing.ROLLING_BACK
                return Standing.RECONCILED if self.reconciled else Standing.BRINGING_BACK
            case _:
                return Standing.ROLLED_BACK

    def decide(self, phase: Phase) -> Decision:
        """What the phase is to do now, with the words filled in."""
        names = {"run": self.run.id if self.run else "", "database": self.database}
        match table(self.strategy)[phase][self.standing]:
            case Skip(reason):
                return Skip(f"{self.database}: {reason.format(**names)}")
            case Refuse(message, hint):
                return Refuse(f"{self.database}: {message.format(**names)}", hint)
            case After(message, hint):
                return After(f"{self.database}: {message.format(**names)}", hint)
            case go:
                return go

    def skip_reason(self, phase: Phase) -> str:
        """Why the phase has nothing to do; '' where it goes ahead. Raises StepRefused where it must not begin."""
        match self.decide(phase):
            case Refuse(message, hint):
                raise StepRefused(message, hint=hint)
            case Skip(reason):
                return reason
            case _:
                return ""

    def require(self, phase: Phase) -> Run:
        """The run in which the phase begins right now. Raises StepRefused where there is none, or it must not."""
        if self.run is None or (self.run.state == ROLLED_BACK and not phase.of_rollback):
            raise StepRefused(
                f"{self.database}: the journal knows no run that is under way",
                hint="start with ansible-playbook migrate.yml",
            )
        match self.decide(phase):
            case After(message, hint):
                raise StepRefused(message, hint=hint)
        if phase.of_rollback and self.run.state in (MIGRATING, MIGRATED):
            raise StepRefused(
                f"{self.database}: run {self.run.id} is {self.run.state}, not being rolled back",
                hint="ansible-playbook rollback.yml begins the rollback",
            )
        if reason := self.skip_reason(phase):
            raise StepRefused(
                f"{reason}; it was not so when this phase was planned",
                hint="another process works on this database: wait for it, then run the same command again",
            )
        return self.run


def read(target: Connection, database: Database, run_id: str | None = None) -> RunState:
    """The state of the newest run of a database; ``target``: a session on its storage database.

    run_id: with the phases of that run instead.
    """
    run = latest_run(target, database.name)
    if run and run_id:
        run = replace(run, id=run_id)
    return RunState(database.name, run, phases(target, run) if run else {}, database.strategy)
