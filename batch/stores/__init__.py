"""Object stores through fsspec: S3, Google Cloud Storage, Azure Blob Storage. None is imported before a URL is used."""
