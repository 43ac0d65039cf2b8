"""Start and end of a script, lock, atomic output files, tables, paths, parallel work."""
