"""Adapters: each joins one library or service to records that the rooms understand."""
