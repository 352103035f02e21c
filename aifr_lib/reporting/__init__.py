"""The printed numbers, runs and artefacts, verdicts on the claims, plots and pages."""
