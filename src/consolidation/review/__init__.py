"""The reviewer's page: what a run would do, for whoever approves it."""
