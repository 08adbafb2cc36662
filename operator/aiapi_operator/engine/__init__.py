"""One tick of one AIApi: observe -> decide -> act -> tell. The right-sizer decides; this room
feeds it and carries out its answer."""
