"""Sources of recordings, WFDB files, diagnosis codes, synthetic hearts, downloads."""
