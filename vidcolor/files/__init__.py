"""Files and paths: atomic and durable writes, checks of paths, suffixes, the cache folder."""
