"""A web service that reads digits: FastAPI, and the client for asyncio.

    pip install fastapi uvicorn python-multipart
    DIGITS_SERVER=localhost:8500 uvicorn fastapi_service:app
    curl -F images=@3.png -F images=@7.png localhost:8000/digits

It answers a list with an object for each image: name, digit, confidence, error.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request, UploadFile

from batch.client import AsyncClient, ServerError


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for all requests: it holds the connections."""
    # A web request cannot wait for a minute, as a batch can.
    async with AsyncClient(os.environ.get("DIGITS_SERVER", "localhost:8500"), timeout=5) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/digits")
async def digits(request: Request, images: list[UploadFile]) -> list[dict[str, object]]:
    """Predict the digit in each uploaded image."""
    client: AsyncClient = request.app.state.client
    try:
        predictions = await client.predict([await image.read() for image in images])
    except ServerError as error:
        raise HTTPException(503, str(error)) from None
    return [
        {"name": image.filename, "digit": found.digit, "confidence": found.confidence, "error": found.error}
        for image, found in zip(images, predictions, strict=True)
    ]
