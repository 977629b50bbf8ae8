"""Pictures and what takes and shows them: ``image``, ``sensor``, ``lcd``."""
