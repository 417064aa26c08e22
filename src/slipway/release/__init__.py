"""Release: what turns a bundle into something that people can trust, fetch and check."""
