// Bundles src/main.js and the styles into ../static: page.js, page.css and the licences of what is in them.
import { build } from "esbuild";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const out = "../static";
const made = await build({
  entryPoints: { page: "src/main.js" },
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  legalComments: "none",
  metafile: true,
});

const packages = new Set();
for (const path of Object.keys(made.metafile.inputs)) {
  const found = path.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)\//);
  if (found) packages.add(found[1]);
}

function licence(name) {
  const folder = join("node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((one) => /^(licen[cs]e|copying)/i.test(one));
  const text = file && existsSync(join(folder, file)) ? readFileSync(join(folder, file), "utf8").trim() : license;
  return `${name} ${version} (${license})\n\n${text.replace(/\r/g, "")}\n`;
}

const head = "page.js and page.css contain parts of these packages.\n";
const rule = `\n${"-".repeat(100)}\n\n`;
writeFileSync(join(out, "page.licenses.txt"), [head, ...[...packages].sort().map(licence)].join(rule));
