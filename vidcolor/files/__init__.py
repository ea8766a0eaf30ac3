"""Files and paths: atomic and durable writes, suffixes, the cache folder."""
