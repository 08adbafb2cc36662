"""Building blocks that know no kind: errors, selectors, quantities, timestamps, JSONPath."""
