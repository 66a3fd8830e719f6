/**
 * What only an attack would write into a definition (C3): calls and key paths of the languages, and inserts of the template engines, that a
 * text might reach one day. Nothing here is ever run as code. Words are fine ("Review the process."), and so are fields of data
 * (`input.process.name`) and plain placeholders (`{{ name }}`).
 */

/** Each in time linear in the text: what may repeat is bounded. */
const CODE: readonly RegExp[] = [
  // calls; the first also with a blank before its bracket, the others may be words before one
  /(?<![\w.])(?:eval|__import__)\s{0,20}\(/,
  /(?<![\w.])(?:eval|exec|execSync|execFile|execFileSync|spawn|spawnSync|require|import|shell_exec|passthru|proc_open|popen|getattr|setattr|compile|unserialize)\((?!(?:s|d|r|ed|er|es|ing|ions?)\))\s{0,20}[^\s)]/i,
  /(?<![\w.])(?:globals|locals|vars|__builtins__)\(\)\s{0,20}[.[]/,
  /\bnew\s{1,20}Function\b|(?<![\w.])Function\s{0,20}\(\s{0,20}["'`]/,
  /(?<![\w.])set(?:Timeout|Interval|Immediate)\s{0,20}\(\s{0,20}["'`]/,
  /\b(?:os|subprocess|commands|posix)\.(?:system|popen|exec[lv]p?e?|spawn[lv]p?e?|run|call|Popen|check_output|getoutput)\s{0,20}\(/,
  /\b(?:pickle|marshal|yaml)\.(?:loads?|unsafe_load)\s{0,20}\(/,
  /\bRuntime\.getRuntime\s{0,20}\(|\bjava\.lang\.\w|\bSystem\.exit\s{0,20}\(/,
  // paths into what runs us
  /(?<![\w.])process\.(?:env|exit|kill|argv|binding|mainModule|dlopen|chdir|abort|cwd|stdin|stdout|stderr|versions|execPath|nextTick|umask|getuid|setuid)\b/,
  /(?<![\w.])process\[\s{0,20}["'`]/,
  /(?<![\w.])(?:globalThis|child_process)\s{0,20}[.[]|\bimport\.meta\b|\bmodule\.exports\b|\barguments\.callee\b/,
  /__proto__|\bconstructor\s{0,20}[.[(]|\[\s{0,20}["'`]constructor["'`]|\.prototype\b|\.constructor\b/,
  /__(?:class|bases?|mro|subclasses|globals|builtins|init|code|dict|getattribute|reduce|import)__/,
  // inserts of template engines, other than plain placeholders
  /(?<!\$)\{\{(?!\s{0,20}[\w.-]{1,100}\s{0,20}\}\})[^}]{0,500}\}\}/,
  /\$\{(?!\{)[^}]{0,200}[:.*([][^}]{0,500}\}/,
  /#\{[^}]{0,200}[.*([][^}]{0,500}\}/,
  /<%[=\-#@!]?|\{%[-+]?\s{0,20}\w|<\?(?:php\b|=)/,
  // what a browser would run
  /<\s{0,20}script\b|\bjavascript:(?=[^\s])|\bdata:text\/html\b/i,
]

/** The piece of `text` that looks like code, at most 40 characters; undefined when there is none. */
export function findCode(text: string): string | undefined {
  // Most texts are words: these hold nothing that any of the patterns begins or ends with.
  if (!SUSPECT.test(text)) return undefined
  const plain = plainly(text)
  for (const pattern of CODE) {
    const found = pattern.exec(plain)
    if (found) return found[0].slice(0, 40).toWellFormed()
  }
  return undefined
}

const SUSPECT = /[^\p{L}\p{N}\p{Zs}\n,;!?'"-]/u

/** As an interpreter would see it: one form of each letter, nothing invisible, escapes resolved. */
function plainly(text: string): string {
  return text
    .normalize('NFKC')
    .replaceAll(/\p{Cf}/gu, '')
    .replaceAll(/\\(?:u\{([0-9a-f]{1,6})\}|u([0-9a-f]{4})|x([0-9a-f]{2}))/gi, (escape, ...codes: (string | undefined)[]) => {
      const code = Number.parseInt(codes[0] ?? codes[1] ?? codes[2] ?? '', 16)
      return code <= 0x10ffff ? String.fromCodePoint(code) : escape
    })
}
