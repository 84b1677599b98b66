"""Files of Space Ranger, under whatever names people have them."""
