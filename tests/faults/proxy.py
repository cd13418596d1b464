"""A reverse proxy in front of the nodes: each connection goes to one that is up; one direction may be cut."""

from __future__ import annotations

import asyncio
import random
import threading


class Proxy:
    """`ports` are the nodes'. `drops`: "" , "requests" (they never arrive) or "answers" (they are swallowed).

    `swallowed` is how many pieces were.
    """

    def __init__(self, ports: list[int]) -> None:
        self.ports, self.drops, self.swallowed = ports, "", 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        backend = await self._backend()
        if backend is None:
            writer.close()
            return
        try:
            await asyncio.gather(self._pipe(reader, backend[1], "requests"), self._pipe(backend[0], writer, "answers"))
        except asyncio.CancelledError:
            return
        finally:
            writer.close()
            backend[1].close()

    async def _backend(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for port in random.sample(self.ports, len(self.ports)):
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue
        return None

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str) -> None:
        try:
            while data := await reader.read(65536):
                if self.drops == direction:
                    self.swallowed += 1
                    continue
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()
