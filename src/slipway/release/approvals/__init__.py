"""Approvals bound to bytes: who decided what about a bundle, and whether that is enough."""
