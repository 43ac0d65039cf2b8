"""How a script starts and ends, its lock, files that appear whole, tables, paths, parallel work."""
