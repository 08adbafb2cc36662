"""What each kind of object is: its names, fields, defaults, validation rules and columns."""
