// Another implementation of BIP-39, EIP-2333 and EIP-2334. Reads {"mnemonic": text, "count": number}, prints one {"secret", "pubkey", "nodes"}
// for each signing key m/12381/3600/i/0/0; nodes are those on the way to it.
import fs from "node:fs";
import {deriveChildSK} from "@chainsafe/bls-hd-key";
import {deriveEth2ValidatorKeys, deriveKeyFromMnemonic} from "@chainsafe/bls-keygen";
import {bls12_381} from "@noble/curves/bls12-381";

const {mnemonic, count} = JSON.parse(fs.readFileSync(0, "utf8"));
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const master = deriveKeyFromMnemonic(mnemonic);
const keys = [];
for (let i = 0; i < count; i++) {
  const secret = deriveEth2ValidatorKeys(master, i).signing;
  const nodes = [master];
  for (const index of [12381, 3600, i, 0]) nodes.push(deriveChildSK(nodes.at(-1), index));
  keys.push({secret: hex(secret), pubkey: hex(bls12_381.getPublicKey(secret)), nodes: nodes.map(hex)});
}
console.log(JSON.stringify(keys));
