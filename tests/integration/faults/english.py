"""What English-speaking customers of an outdoor shop and users of its software write, in parts to be put together."""

WORDS = {
    "brand": """Falkenrad|Northway|Tarnum|Velora|Quillback|Osmer|Brisk & Sons|Lindqvist|Mirador|Kestrel|Harrow|
Penhallow|Ostrava Cycles|Gullfoss|Tidewell|Aldermoor|Rossano|Zephyrine|Dovrefjell|Marlpit|Sennen|Uplands|Whitlow|
Yarrow""",
    "model": """Ridge|Alto|Vento|Lumen|Scree|Tarn|Fjord|Pilot|Nomad|Beacon|Cairn|Drift|Ember|Flint|Gale|Heron|Ibex|
Juniper|Kite|Larch|Moraine|Nimbus|Otter|Plover|Quarry|Rowan|Sable|Thistle|Umber|Vesper""",
    "item": """gravel bike|trekking bike|folding bike|cargo bike|balance bike|child trailer|two-person tent|
tunnel tent|bivvy bag|down sleeping bag|inflatable mat|camping stove|head torch|hydration pack|touring rucksack|
pair of panniers|floor pump|dynamo lamp|commuter helmet|rain poncho|softshell jacket|pair of approach shoes|ice axe|
climbing harness|water filter|satellite beacon|cycle computer|frame bag|leather saddle|folding lock|roof rack|
canoe paddle|avalanche shovel|trail camera""",
    "part": """rear derailleur|bottom bracket|front brake|zip|shoulder strap|charging port|inner tube|valve|
seat post|left buckle|freehub|headset|outer shell|burner|fuel hose|chest strap|battery cover|spoke guard|kickstand|
mudguard stay|hip belt|guy line|pole sleeve|crank arm|cable housing|mounting bracket|rubber seal|tail light""",
    "place": """Lake Garda|the Cairngorms|Dartmoor|the Black Forest|Snowdonia|the Camino|Tromsø|the Lofoten islands|
Galway|the Peak District|Girona|the Jura|Bornholm|Lake Bled|the Outer Hebrides|Mallorca|Kraków|the Dolomites|
Antwerp|the Tatra mountains|Porto|the Vosges|Exmoor|Ljubljana|the Harz|Northumberland|Zürich|the Algarve|Reykjavík|
the Yorkshire Dales""",
    "month": "January|February|March|April|May|June|July|August|September|October|November|December",
    "noise": "grinding|clicking|squealing|rattling|humming|creaking|scraping|popping",
    "action": """climb in the saddle|brake hard|shift under load|turn left|lift the handlebar|pack it away|
ride over cobbles|pull the strap tight|stand up on the pedals|carry more than a day's food""",
    "person": """my daughter|my neighbour|a colleague|my brother-in-law|our club's treasurer|a friend from work|
my father|our guide""",
    "colour": "forest green|slate blue|rust red|sand|charcoal|mustard yellow|pale grey|burgundy|off-white|petrol",
    "use": """commuting in the rain|a week of touring|weekend trips with the children|long brevets|winter camping|
hut-to-hut walks|the school run|guiding beginners|bikepacking on forest roads|a charity ride""",
    "app": """TrailDesk|RouteBook|Ledgerly|ShiftPlanner|PackList Pro|StockRoom|TicketFox|MapCellar|CrewBoard|
FormBarn|Invoicer|SyncBird""",
    "menu": """Settings|Accounts|Integrations|Reports|Members|Exports|Notifications|Templates|Backups|Billing|
Permissions|Devices""",
    "system": """Windows 11|Windows 10|macOS Sonoma|Ubuntu 22|Fedora 39|Debian 12|an iPad|an Android tablet|
a Chromebook|ChromeOS Flex|an old MacBook|a thin client""",
    "file": """spreadsheet|route file|photo archive|price list|staff roster|invoice run|member list|stock count|
backup|calendar feed|map layer|time sheet""",
    "fault": """stops at the progress bar|shows a blank page|asks me to sign in again|reports that the disk is full|
loses the last column|mixes up the time zones|prints every page twice|ignores the filter|closes without a word|
turns accents into question marks|keeps spinning|says that the licence has run out""",
    "role": """bookkeeper|volunteer|shift leader|warehouse clerk|trainee|branch manager|trip organiser|auditor|
driver|tutor""",
}

OPENINGS = {
    "shop": """Last {month} I ordered the {brand} {model} {few} {item} in {colour} from you for {use}.
{person} gave me a {brand} {model} {teens} {item}, bought in your branch near {place} in {month}.
I am thinking of buying the {brand} {model} {few} ({item}) for a trip to {place} in {month}.
We run a rental station near {place} and own {teens} pieces of the {brand} {model} {item}.
My {colour} {brand} {item}, model {model} {hundreds}, is about {few} years old and has seen {place} twice.
For {use} I picked up a second-hand {brand} {model} {few} {item} near {place}.
Your catalogue for {month} lists the {item} {brand} {model} {hundreds} in {colour}.
On the way to {place} I carried the new {brand} {model} {few} {item} for the first time.
The parcel with my {item} ({brand} {model} {teens}, {colour}) arrived in {month} after {teens} days.
Before our tour around {place} I had the {brand} {model} {item} serviced in your workshop.""",
    "desk": """We moved {teens} people of our office near {place} to {app} in {month}, all of them on {system}.
As a {role} I work with {app} version {few}.{teens} on {system} nearly every day.
Since the update of {app} in {month}, {person} and I share one account for the site near {place}.
Our {role} opens the {file} in {app} from {place} over a slow line.
I look after {app} for {hundreds} members of a walking club near {place}.
On {system} I have {app} open in {few} windows, one for each {file}.
In {month} we bought {teens} seats of {app} for the team that plans {use}.
{person} set up {app} for our shop in {place} and has since left for another job.
A new {role} joins us in {month} and will use {app} on {system}.
For the season in {place} I keep the {file} and the {app} calendar side by side.""",
}

PROBLEMS = {
    "shop": """The {part} makes a {noise} noise whenever I {action}, and after {few} kilometres it gets worse.
Now the {part} has a crack of about {few} millimetres, although nobody ever dropped it near {place}.
Sadly, the {part} came loose on day {few}, and the screw that held it is missing.
The {part} fits so badly that {person} could not {action} without hurting a hand.
At the first rain near {place} water got in behind the {part}, and it took {few} days to dry.
When I {action}, the {part} slips back by {few} or so millimetres, however tight I set it.
The {colour} coating around the {part} is flaking off after only {few} months of {use}.
According to the leaflet the {part} holds {hundreds} kilograms, while your website says half of that.
I cannot find the {part} in the box, and the packing list counts {few} bags instead of the ones I got.
A {noise} sound comes from the {part} at {teens} kilometres an hour, but the stand shows nothing.
The {part} from my older {model} does not fit, because the new one is {few} millimetres wider.
{person} replaced the {part} with one from {brand}, and since then I cannot {action} any more.
In the cold of {month} the {part} froze at minus {teens} degrees and would not move.
The label on the {part} names size {hundreds}, the invoice another one, and neither fits {person}.""",
    "desk": """Whenever I open {menu}, the program {fault}, and the {file} is gone after {few} minutes.
The import of our {file} with {hundreds} rows {fault} at line {teens}, without any message.
After signing in on {system}, the {menu} page {fault} for everyone but the {role}.
The {file} that we mail every {month} now {fault} as soon as it has more than {teens} pages.
Under {menu} the button for the {file} has vanished for {person}, while the {role} still sees it.
Copying {hundreds} entries from {menu} to the {file} takes {teens} minutes, and then the window {fault}.
The nightly job for the {file} {fault} on {few} of {teens} days, mostly when {place} is offline.
Searching the {file} for names from {place} {fault} if the name has an accent, as with José or Zoë.
A {role} changed something under {menu}, and now the {file} {fault} on {system}.
Each time the laptop wakes up, the {app} icon turns {colour} and {menu} {fault}.
With {teens} users at once the {file} {fault}, although the server is bored at {few} percent.
The phone of {person} shows {hundreds} unread notes under {menu}, but the list {fault}.
Sharing the {file} with the branch near {place} {fault}, and the link expires within {few} hours.
Printing the {file} from {menu} on A{few} paper {fault}; on {system} it does so every time.""",
}

DETAILS = {
    "shop": """I have tried a drop of oil and a new washer, which helped for {few} rides at most.
{person}, who repairs such things, measured {hundreds} newtons and shook the head.
The receipt is from {month}, so the guarantee should cover another {teens} months.
My height is {hundreds} centimetres, in case that matters, and I ride about {teens} hours a week.
We leave for {place} in {few} weeks and would rather not hire another {item}.
In the photos I attached you see the {part} from {few} sides.
Your colleague in {place} could only offer one in {colour}, with a delivery time of {teens} days.
The same thing happened to {person} with a {brand} {model} two summers ago.
I paid {hundreds} euros for it, which is a lot for {use}.
It is stored in a dry cellar at {teens} degrees, never in the sun.""",
    "desk": """I have restarted {system}, emptied the cache and waited for {teens} minutes, to no avail.
In the log I find entry {hundreds} from {month}, and nothing after it.
{person} has the same rights and no trouble at all on {system}.
The network in {place} is fast, and other programs open the {file} within {few} seconds.
Our deadline is in {few} days, and {hundreds} people wait for the {file}.
It began in {month}, when the {role} tidied up {menu} and removed {few} entries.
A colleague in {place} suggested deleting the profile, but we fear for the {file}.
The error number is {hundreds}, sometimes with {few} zeros in front.
The free space is {hundreds} gigabytes, and the memory is half empty.
We tested on {system} and on another machine from {place}, with the same result {few} times.""",
}

ASKS = {
    "shop": """Can I mend the {part} myself, or do I have to send the whole {item} in?
Which {part} do you recommend instead, and what would it cost with postage to {place}?
Is that normal for a {item}, and if not, who pays for the way back?
How tight should the {part} be, and with which tool do I check it?
Would you swap it for the {model} {teens}, even though I have used it for {use}?
Could your workshop in {place} look at it before the end of {month}?
What can I do on the road, say near {place}, if the {part} fails again?
Does the {brand} guarantee cover it, or only a fault in the {colour} fabric?
May I keep using the {item} until the new {part} comes?
Where do I find the drawing of the {part} with all {few} screws?""",
    "desk": """Which setting under {menu} brings the {file} back?
How do I export the {file} from {app} without losing the {month} entries?
Is there a way to undo what the {role} did, say by going back {few} days?
Who may see the {file}, and how do I take that right from the {role} again?
Should we install {app} anew on {system}, or is a repair enough?
Does {app} run on {system} at all, and what do you support in {place}?
Could you look at our {file} on your side and tell us what is wrong with it?
What is the largest {file} that {app} can take, in rows or in megabytes?
How can {person} keep working while you look into it?
When will this be fixed, and do we have to wait for version {few}.{teens}?""",
}

ANSWERS = {
    "shop": """Please take the {part} off, clean the seat with a dry cloth, and fit it again with {few} newton metres.
That is a known weakness of the {model} up to serial number {hundreds}; we send you a new {part} free of charge.
Bring the {item} to a branch with the receipt, and we will exchange the {part} while you wait.
For {use} we advise the {brand} {model}, whose {part} is {few} millimetres thicker.
You may keep using it for now, as long as you check the {part} every {teens} kilometres.
The guarantee covers the {part} for {few} years, provided that it was fitted by a workshop.
Order the {part} under its own number; postage to {place} costs {few} euros.
Our workshop in {place} has a free slot in {month}, and the repair takes about {few} hours.
Rinse it with lukewarm water, let it dry for {teens} hours, and do not use any solvent.
We are sorry about that: send us one more photo of the {part}, and you get a reply within {few} days.""",
    "desk": """Open {menu}, choose the {file}, and set the number of rows to {hundreds} before you import it again.
Sign in as an administrator, go to {menu}, and give the {role} the right to read the {file}.
This was fixed in version {few}.{teens} of {app}; please update and restart {system}.
Restore the {file} from the backup of {month}: nothing but the last {few} entries is lost.
On {system} the cache has to be emptied once under {menu}, which takes about {few} minutes.
The {file} is too large for one step; split it into {few} parts of {hundreds} rows each.
We have raised the limit for your site near {place} to {hundreds}, so please try once more.
Remove the old profile of the {role} under {menu}; the {file} itself stays where it is.
Until the next release, open the {file} from the {menu} page rather than from the start page.
Send us the log from {month} through the form under {menu}, and we will look at the {file}.""",
}

FOLLOW_UPS = """And what about the {colour} one that {person} has?
Thanks. Does the same hold for {place} in {month}?
I see. How long will that take if {person} helps me?
Would {few} of them be enough for {teens} people?
What if it happens again while I am in {place}?
Is there anything that {person} should not do in the meantime?"""

FOLLOW_ANSWERS = """Yes, there too; only allow for {few} more days.
It takes {few} minutes at most, and {teens} with a beginner.
Then write to us again and mention the number {hundreds}.
That depends on {place}: in {month} we would wait a little.
Nothing speaks against it, as long as somebody checks it every {few} days."""

SYSTEMS = """You help the customers of an outdoor shop and are brief and friendly.
You are the support desk of a software house. Answer in plain words.
Answer questions on bicycles, tents and the software that goes with them."""

THOUGHTS = """The customer wants to know about the {part}; the number {hundreds} matters more than the rest.
First I look up the stock for {place}, then I answer with what it says.
This sounds like a known case from {month}. I check whether {few} pieces are there."""

POLITE = """Hello there. |Hi! |Good morning, |Excuse me, |Sorry to bother you. """
THANKS = """ Thank you!| Thanks a lot.| Many thanks in advance.| Best wishes.| Cheers!"""
