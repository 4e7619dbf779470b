"""The evaluation set of ``prepare``: support questions in three languages and six shapes, with faults planted by chance."""
