"""The API: a blueprint a resource, the same six operations for each, and their description."""
