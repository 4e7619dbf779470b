"""Whether an answer does harm: word lists, a classifier, a judge, and questions that should be refused."""
