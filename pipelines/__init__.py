"""The wiring of the build half: one small file per stage, named as the stage."""
