"""Programs for developers: the fuzzer, the table of formats, pictures of the documentation."""
