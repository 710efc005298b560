"""`python model.py PORT`: a language model that takes its time, so that answers stream while pods come and go.

Speaks as much of the API of the OpenAI kind as the service reads. Runs where only a standard library is.
"""

import asyncio
import json
import sys

PIECES = 10
PAUSE_SECONDS = 0.2
"""Two seconds an answer; a pod that is told to go gives the answers that it has begun five."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request, whatever it asks."""
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        for number in range(PIECES):
            await asyncio.sleep(PAUSE_SECONDS)
            chunk = {"choices": [{"delta": {"content": f"{number} "}, "finish_reason": None}]}
            writer.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            await writer.drain()
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()
    except (OSError, EOFError):
        # Whoever asked went away.
        return
    finally:
        writer.close()


async def main() -> None:
    """Listen until the end."""
    async with await asyncio.start_server(answer, "0.0.0.0", int(sys.argv[1])) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
