//! Colours, weights and patterns, light and dark, for the page and for a picture on its own.
//!
//! Every state has a colour *and* a pattern *and* its name: none of them is needed to tell it from another.

/// Variables of both themes.
pub(super) const COLOURS: &str = "
:root{--paper:#fff;--lane:#f4f6f8;--ink:#17202a;--soft:#596673;--rule:#d5dbe1;
--normal:#1f8a5b;--bypass:#f2b632;--bypass-line:#8a5a00;--off:#5b6675;--off-line:#c9d0d8;--unknown:#e4e7ea;--unknown-line:#8b95a1;
--fault:#c62828;--ours:#f6b8b0;--ours-line:#c62828;--relink:#e3e8f4;--relink-line:#7c8db5;
--host:#1f8a5b;--around:#b07800;--controller:#6a3fb5;--agent:#1763b8;--machine:#4a5561;--bound:#17202a}
@media(prefers-color-scheme:dark){:root{--paper:#10151b;--lane:#19212a;--ink:#e8edf2;--soft:#9aa7b4;--rule:#33404d;
--normal:#2fa773;--bypass:#d79b1f;--bypass-line:#4a3200;--off:#6c7888;--off-line:#2a323c;--unknown:#2b343e;--unknown-line:#7f8b98;
--fault:#ff7b72;--ours:#6b2a27;--ours-line:#ff7b72;--relink:#263149;--relink-line:#8aa0d6;
--host:#3fbf87;--around:#e3ac3f;--controller:#b79cf0;--agent:#6cb2ff;--machine:#a3afbb;--bound:#e8edf2}}";

/// What the classes of a picture look like.
pub(super) const PICTURE: &str = "
svg.timeline{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:12px;display:block;width:100%;height:auto}
.timeline text{fill:var(--ink)}
.timeline .paper{fill:var(--paper)}.timeline .lane{fill:var(--lane)}
.timeline .title{font-size:17px;font-weight:650}.timeline .sub{font-size:12.5px;fill:var(--soft)}
.timeline .name{font-weight:600}.timeline .soft,.timeline .axis{fill:var(--soft);font-size:11px}
.timeline .grid{stroke:var(--rule);stroke-width:1}.timeline .base{stroke:var(--unknown-line);stroke-width:1}
.timeline .normal{fill:url(#fp-normal)}.timeline .bypass{fill:url(#fp-bypass)}
.timeline .disconnect{fill:url(#fp-disconnect)}.timeline .unknown{fill:url(#fp-unknown)}
.timeline .edge{fill:none;stroke:var(--paper);stroke-width:1}
.timeline .halo{fill:var(--paper);opacity:.86}.timeline .band{font-weight:650}
.timeline .fault{fill:var(--fault);font-weight:650}.timeline .pole{stroke:var(--fault);stroke-width:1.4;stroke-dasharray:3 2}
.timeline .flag{fill:var(--fault)}
.timeline .host{fill:var(--host)}.timeline .around{fill:url(#fp-around)}.timeline .some{fill:var(--machine)}
.timeline .ours{fill:var(--ours)}.timeline .relink{fill:url(#fp-relink)}
.timeline .hole{fill:none;stroke:var(--ours-line);stroke-width:1}.timeline .holetext{font-weight:650;fill:var(--fault)}
.timeline .dim{stroke:var(--ours-line);stroke-width:1}
.timeline .bound{fill:none;stroke:var(--bound);stroke-width:1.4}.timeline .boundtext{font-size:11.5px}
.timeline .controller{fill:var(--controller)}.timeline .agent{fill:var(--agent)}.timeline .machine{fill:var(--machine)}
.timeline .number{font-size:10.5px;font-weight:600;fill:var(--soft)}
.timeline .focus{fill:var(--lane)}.timeline .focusline{fill:none;stroke:var(--unknown-line);stroke-width:1;stroke-dasharray:2 3}";

/// Fills with a pattern. Once in a page; in each picture that stands alone.
pub(super) const PATTERNS: &str = "<defs>\
<pattern id=\"fp-normal\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\"><rect width=\"8\" height=\"8\" style=\"fill:var(--normal)\"/></pattern>\
<pattern id=\"fp-bypass\" width=\"9\" height=\"9\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><rect width=\"9\" height=\"9\" style=\"fill:var(--bypass)\"/><rect width=\"2\" height=\"9\" style=\"fill:var(--bypass-line);opacity:.55\"/></pattern>\
<pattern id=\"fp-disconnect\" width=\"9\" height=\"9\" patternUnits=\"userSpaceOnUse\"><rect width=\"9\" height=\"9\" style=\"fill:var(--off)\"/><path d=\"M1 1L8 8M8 1L1 8\" style=\"stroke:var(--off-line);stroke-width:1;fill:none\"/></pattern>\
<pattern id=\"fp-unknown\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\"><rect width=\"7\" height=\"7\" style=\"fill:var(--unknown)\"/><circle cx=\"3.5\" cy=\"3.5\" r=\"1.2\" style=\"fill:var(--unknown-line)\"/></pattern>\
<pattern id=\"fp-relink\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(-45)\"><rect width=\"6\" height=\"6\" style=\"fill:var(--relink)\"/><rect width=\"1.2\" height=\"6\" style=\"fill:var(--relink-line)\"/></pattern>\
<pattern id=\"fp-around\" width=\"10\" height=\"6\" patternUnits=\"userSpaceOnUse\"><rect width=\"7\" height=\"6\" style=\"fill:var(--around)\"/></pattern>\
</defs>";

/// What the page around the pictures looks like.
pub(super) const PAGE: &str = "
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 24px 80px}
h1{font-size:25px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}h2{font-size:18px;margin:40px 0 10px}h3{font-size:16px;margin:30px 0 6px;padding-top:8px;border-top:1px solid var(--rule)}
p{margin:6px 0}.soft{color:var(--soft)}a{color:inherit}
.figures{display:flex;flex-wrap:wrap;gap:10px 34px;margin:18px 0 6px;padding:0;list-style:none}
.figures b{display:block;font-size:26px;line-height:1.15;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
.matrix{width:100%;font-size:13px}.matrix th{text-align:left;font-weight:600;padding:5px 8px;white-space:nowrap;border-bottom:1px solid var(--rule)}
.matrix thead th{vertical-align:bottom;white-space:normal;overflow-wrap:anywhere;min-width:92px;line-height:1.25}
.matrix td{padding:0;border-bottom:1px solid var(--rule);vertical-align:top}
.cell{display:block;padding:5px 8px;text-decoration:none;border-left:3px solid transparent;line-height:1.3}
.cell small{display:block;color:var(--soft);white-space:nowrap}
a.cell:hover{background:var(--lane)}
.pass{border-left-color:var(--normal)}.fail{border-left-color:var(--fault);background:var(--ours);font-weight:650}.skipped{color:var(--soft);border-left-color:var(--unknown-line);border-left-style:dotted}
.none{color:var(--soft)}
.reasons{font-size:13.5px;width:100%}.reasons td{padding:5px 14px 5px 0;vertical-align:top;border-bottom:1px solid var(--rule)}
details{margin:8px 0;border:1px solid var(--rule);border-radius:6px}summary{cursor:pointer;padding:8px 12px;font-variant-numeric:tabular-nums}
summary b{font-weight:650}summary .badge{display:inline-block;min-width:4.2em;font-weight:650}.badge.p{color:var(--normal)}.badge.f{color:var(--fault)}.badge.s{color:var(--soft)}
details>div{padding:4px 12px 14px}
.story{columns:2;column-gap:36px;font-size:12.5px;line-height:1.45;margin:10px 0 0;padding:0;list-style:none}
@media(max-width:820px){.story{columns:1}}
.story li{display:grid;grid-template-columns:2.6em 5.6em 1fr;gap:6px;break-inside:avoid;padding:1px 0}
.story .n{text-align:right;font-weight:650}.story .t{text-align:right;color:var(--soft);font-variant-numeric:tabular-nums}.story .x{overflow-wrap:anywhere}
.story .controller .n{color:var(--controller)}.story .agent .n{color:var(--agent)}.story .machine .n{color:var(--machine)}.story .fault .n,.story .fault .x{color:var(--fault);font-weight:650}
pre{overflow:auto;max-height:320px;font-size:12px;background:var(--lane);padding:10px;border-radius:6px}
.key svg.timeline{max-width:1040px}
footer{margin-top:50px;color:var(--soft);font-size:13px}";
