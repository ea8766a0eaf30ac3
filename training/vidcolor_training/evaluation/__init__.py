"""How colors are judged: stills and clips, beside the rows "grey" and "truth"."""
