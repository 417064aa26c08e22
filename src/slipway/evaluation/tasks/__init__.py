"""Tasks made from held-out documents: `choice` asks and judges; `continuation` and `signature` make questions."""
