"""After publication: tombstones and advisories, the way back to the last good release, incidents."""
