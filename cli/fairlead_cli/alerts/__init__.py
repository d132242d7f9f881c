"""The alerts: what each says and when, as data in rules. Chart, runbook and tests read them from there."""
