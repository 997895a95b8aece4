import os

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def health(_request):
    return JSONResponse({"status": "ok", "user": os.getuid()})


app = Starlette(routes=[Route("/health", health)])


def main() -> None:
    uvicorn.run(app, host="0.0.0.0", port=int(os.environ["PORT"]))
