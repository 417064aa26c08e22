"""Multiple choice: `choice` asks and judges; `continuation` and `signature` make questions, `file` reads them."""
