// Builds dist/ from src/: the same bytes from the same sources, on any machine. The
// licences of what is bundled stay in the built script.
import { build } from "esbuild";
import { readFileSync } from "node:fs";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "dist");
await mkdir(out, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: { page: "src/main.tsx", "page-style": "src/page.css" },
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  banner: { js: banner() },
  outdir: out,
  logLevel: "warning",
  write: false,
}).then(write);
for (const name of ["index.html", "icon.svg"]) await copyFile(join(here, "src", name), join(out, name));

// write names the style sheet page.css.
async function write(result) {
  for (const f of result.outputFiles) await writeFile(f.path.replace("page-style.css", "page.css"), f.contents);
}

// banner has the licences of what is bundled, which ask for that.
function banner() {
  const parts = ["preact", "@dagrejs/dagre", "@dagrejs/graphlib"].map((name) => {
    const of = JSON.parse(readFileSync(join(here, "node_modules", name, "package.json"), "utf8"));
    return `${name} ${of.version}:\n\n${readFileSync(join(here, "node_modules", name, "LICENSE"), "utf8").trim()}\n`;
  });
  return `/*!\nFairway's page, built from web/ui/src by web/ui/build.mjs; do not edit. It contains\n\n${parts.join("\n")}*/`;
}
