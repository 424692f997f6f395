"""The gRPC side: PredictionService, ModelService and the health service, their ports and TLS."""
