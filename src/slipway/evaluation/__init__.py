"""Quality on held-out text: `scoring` (the model), `tasks` (the questions), `baselines`, `summary`, `report`."""
