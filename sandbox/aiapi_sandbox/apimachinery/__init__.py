"""Building blocks without knowledge of kinds: errors, selectors, quantities, timestamps."""
