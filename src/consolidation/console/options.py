"""Variables that an operator may give with -e and that hold no secret: the next command is printed with them."""

from __future__ import annotations

OF_THE_INVENTORY = frozenset(
    {
        "consolidation_backup_directory",
        "consolidation_cutover",
        "consolidation_metrics_directory",
        "consolidation_mode",
        "consolidation_postgresql_bin",
        "consolidation_rehearsal_required",
        "consolidation_run_directory",
        "consolidation_take_over",
        "consolidation_window_end",
        "demo_directory",
        "rollback_source_lost",
    }
)
OF_ROLES = frozenset(
    {
        "backup_maintenance_dbname",
        "capture_timeout_seconds",
        "copy_helpers",
        "copy_progress_file",
        "copy_readers",
        "copy_timeout_seconds",
        "copy_workers",
        "cutover_budget_seconds",
        "cutover_lag_seconds",
        "cutover_timeout_seconds",
        "cutover_tries",
        "fence_timeout_seconds",
        "finalize_maintenance_dbname",
        "finalize_timeout_seconds",
        "follow_cutover",
        "follow_hold",
        "follow_hold_file",
        "follow_lag_seconds",
        "follow_log_bytes",
        "follow_pause_seconds",
        "follow_tries",
        "preflight_accepted",
        "preflight_rehearsal_days",
        "preflight_rehearsal_required",
        "rehearse_accepted",
        "rehearse_minutes",
        "rehearse_workers",
        "rollback_budget_seconds",
        "rollback_lag_seconds",
        "rollback_timeout_seconds",
        "rollback_tries",
        "runner_backup_directory",
        "runner_directory",
        "runner_packages",
        "runner_passfile",
        "runner_user",
        "runner_wheel_platforms",
        "runner_wheelhouse",
        "schema_accepted",
        "schema_migrations",
        "services_health_seconds",
        "services_hosts",
        "services_leave_seconds",
        "services_opening_seconds",
        "services_quiet_seconds",
        "services_storage_hosts",
        "verify_max_keys",
        "verify_progress_file",
        "verify_workers",
    }
)
PLAIN = OF_THE_INVENTORY | OF_ROLES
FOR_ONE_COMMAND = frozenset(
    {"backup_consent", "consolidation_confirm", "finalize_consent", "resolve_keep", "rollback_consent"}
)
"""A confirmation or a typed sentence; the command that wants one prints it."""
