import express from "express";

const app = express();
app.get("/health", (_request, response) => response.json({ status: "ok", user: process.getuid() }));
const server = app.listen(Number(process.env.PORT), "0.0.0.0");
process.on("SIGTERM", () => server.close(() => process.exit(0)));
