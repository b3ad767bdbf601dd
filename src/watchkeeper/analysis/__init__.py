"""Profiles and statistics put together: what risks, pages, the library and `watchkeeper check` all say with the same words. Knows no Django."""
