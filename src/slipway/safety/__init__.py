"""What a model should not remember or say: one file per probe, `battery` runs them and names what was not run."""
