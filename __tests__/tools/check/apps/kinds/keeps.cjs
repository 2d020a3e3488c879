const express = require("express");

const app = express();
const admin = express();
admin.get("/users", (_req, res) => void res.send("x"));
app.use("/admin", admin);
app.get("/", (_req, res) => void res.send("x"));
if (require.main === module) app.listen(0);
