"""What Chinese-speaking customers of an outdoor shop and users of its software write, in parts to be put together."""

WORDS = {
    "brand": """猎隼|北径|塔纳|维洛拉|羽背|奥斯默|林奎|米拉多|红隼|松岭|彭霍|银瀑|潮井|桤原|罗萨诺|微风|多弗勒|泥坑|
圣嫩|高地|白丘|蓍草|青岚|远山""",
    "model": """山脊|奥拓|风行|流明|碎石|山湖|峡湾|领航|游牧|灯塔|石堆|漂移|余烬|火石|疾风|苍鹭|岩羊|杜松|风筝|
落叶松|冰碛|雨云|水獭|鸻鸟|采石|花楸|紫貂|蓟花|赭石|晚星""",
    "item": """砾石公路车|旅行自行车|折叠车|载货自行车|儿童平衡车|儿童拖车|双人帐篷|隧道帐篷|露营袋|羽绒睡袋|
充气防潮垫|露营炉头|头灯|水袋背包|徒步背包|驮包套装|落地打气筒|发电花鼓车灯|通勤头盔|雨披|软壳外套|登山鞋|冰镐|
攀岩安全带|净水器|卫星信标|骑行码表|车架包|皮革坐垫|折叠锁|车顶行李架|独木舟桨|雪崩铲|红外相机""",
    "part": """后拨链器|中轴|前刹车|拉链|肩带|充电接口|内胎|气嘴|座管|左侧卡扣|棘轮塔基|碗组|外帐|火头|燃气软管|
胸带|电池盖|辐条护盘|脚撑|挡泥板支杆|腰带|防风绳|帐杆套|曲柄|线管|安装支架|橡胶密封圈|尾灯""",
    "place": """青海湖|川西高原|莫干山|黑龙潭|稻城|千岛湖|阿勒泰|呼伦贝尔|大理|武夷山|桂林|张家口|舟山群岛|喀纳斯|
雁荡山|海南环岛公路|敦煌|四姑娘山|厦门|长白山|洱海|太行山|香格里拉|杭州|泰山|草原天路|苏州|西双版纳|库尔勒|徽州古道""",
    "month": "正月|春天|清明前|初夏|端午后|暑假|入秋|国庆期间|深秋|入冬|年底|寒假",
    "noise": "摩擦声|咔嗒声|尖叫声|哐当声|嗡嗡声|吱呀声|刮擦声|爆裂声",
    "action": "坐着爬坡|急刹车|带负荷变速|往左转弯|提起车把|收进袋子|骑过石子路|拉紧带子|站起来踩踏|多装行李",
    "person": "我女儿|邻居老周|同事小何|我姐夫|俱乐部会计|公司里的朋友|我父亲|我们的领队",
    "colour": "墨绿色|石板蓝|铁锈红|沙色|炭黑色|芥末黄|浅灰色|酒红色|米白色|孔雀蓝",
    "use": """雨天通勤|长途旅行|周末带孩子出门|长距离不间断骑行|冬季露营|山屋穿越|接送孩子上学|给新手带队|
林道驮包骑行|慈善骑行""",
    "app": "路书助手|账本通|排班宝|装备清单|库房管家|工单狐|地图地窖|班组看板|表单仓|开票王|同步鸟|会员簿",
    "menu": "设置|账户|集成|报表|成员|导出|通知|模板|备份|计费|权限|设备",
    "system": """公司电脑|家里的笔记本|平板|旧款苹果本|安卓手机|前台的主机|云桌面|国产系统的机器|门店收银机|
出差用的本子""",
    "file": "表格|路线文件|照片库|价目表|值班表|批量发票|会员名单|盘点单|备份包|日历订阅|地图图层|工时单",
    "fault": """卡在进度条上|只显示空白页|要求重新登录|提示磁盘已满|丢掉最后的列|把时区弄混|每页都打印两遍|
不理会筛选条件|无声无息地关掉|把生僻字变成问号|转圈转个不停|说许可证到期了""",
    "role": "会计|志愿者|值班组长|库管|实习生|店长|活动组织者|审计员|司机|教练",
}

OPENINGS = {
    "shop": """{month}我在贵店买了{colour}的{brand}{model}{few}{item}，打算用来{use}。
{person}送了我{brand}{model}{teens}{item}，是在{place}分店买的。
我想买{brand}{model}{few}（{item}），{month}去{place}的时候用。
我们在{place}附近开租赁站，手里有{teens}件{brand}{model}{item}。
我那件{colour}的{brand}{item}，型号是{model}{hundreds}，用了{few}年，去过{place}。
为了{use}，我在{place}收了件旧的{brand}{model}{few}{item}。
贵店{month}的目录里有{brand}{model}{hundreds}{item}，颜色是{colour}。
去{place}的路上，我头回带上新买的{brand}{model}{few}{item}。
装着{item}（{brand}{model}{teens}，{colour}）的包裹{month}才到，路上走了{teens}天。
去{place}之前，我把{brand}{model}{item}送到贵店保养过。""",
    "desk": """{month}我们{place}办公室的{teens}个人换用了{app}，都装在{system}上。
我是{role}，几乎每天都在{system}上用{app}{few}.{teens}版。
{app}{month}更新以后，{person}和我共用{place}网点的账号。
我们的{role}在{place}用很慢的网络打开{app}里的{file}。
我替{place}附近的徒步协会管理{app}，里面有{hundreds}名会员。
我在{system}上把{app}开了{few}个窗口，每个窗口放不同的{file}。
{month}我们给负责{use}的小组买了{teens}个{app}席位。
{person}给我们{place}的店装好了{app}，后来就离职了。
{month}会来新的{role}，到时候要在{system}上用{app}。
{place}旺季的时候，我把{file}和{app}的日历并排放着看。""",
}

PROBLEMS = {
    "shop": """只要我{action}，{part}就发出{noise}，骑了{few}公里以后更厉害。
现在{part}裂了大约{few}毫米的口子，可是在{place}从来没有摔过。
可惜{part}用到第{few}天就松了，固定用的螺丝也不见了。
{part}装得很别扭，{person}{action}的时候差点弄伤手。
在{place}头次淋雨，水就从{part}后面渗进来，晾了{few}天才干。
每当我{action}，{part}都会往回滑{few}毫米左右，拧得再紧也没用。
{part}周围{colour}的涂层只用了{few}个月就开始脱落。
说明书写着{part}能承重{hundreds}公斤，网站上却只写了不到这个数的部分。
箱子里找不到{part}，装箱单写的是{few}袋，跟收到的对不上。
速度到{teens}公里的时候，{part}传来{noise}，架在支架上又听不见。
旧款{model}的{part}装不上去，因为新的宽了{few}毫米。
{person}给我换了{brand}的{part}，打那以后我就没法{action}了。
{month}天冷，零下{teens}度的时候{part}冻住了，怎么都动不了。
{part}的标签上写着{hundreds}号，发票上却是别的尺码，{person}穿着都不合适。""",
    "desk": """每次打开{menu}，程序就{fault}，过{few}分钟{file}也没了。
导入{hundreds}行的{file}，到第{teens}行就{fault}，没有任何提示。
在{system}上登录以后，除了{role}，别人打开{menu}页面都{fault}。
我们{month}要寄出的{file}，只要超过{teens}页就{fault}。
{menu}里处理{file}的按钮，{person}看不见了，{role}却还能看见。
从{menu}往{file}里复制{hundreds}条记录要{teens}分钟，然后窗口就{fault}。
夜里跑{file}的任务，{teens}天里有{few}天会{fault}，多半是{place}断网的时候。
在{file}里搜{place}的人名，只要带生僻字就{fault}。
{role}在{menu}里改了什么，现在{file}在{system}上{fault}。
笔记本每回唤醒，{app}的图标都会变成{colour}，{menu}还会{fault}。
{teens}个人同时使用时，{file}就{fault}，可服务器的负载才百分之{few}。
{person}手机上的{menu}显示{hundreds}条未读，点开列表却{fault}。
把{file}共享给{place}分店时会{fault}，链接过{few}小时就失效。
从{menu}用A{few}纸打印{file}会{fault}，在{system}上回回如此。""",
}

DETAILS = {
    "shop": """我滴过油，也换过垫片，最多管用{few}次。
{person}懂维修，量出来是{hundreds}牛，看完直摇头。
小票是{month}开的，保修应该还剩{teens}个月。
我身高{hundreds}厘米，每周大概骑{teens}个小时，不知道有没有关系。
再过{few}周我们就要去{place}，不想再另租{item}。
我附了照片，从{few}个角度都能看到{part}。
{place}的店员说只有{colour}的，要等{teens}天。
{person}前年买的{brand}{model}也出过同样的毛病。
我花了{hundreds}元，对{use}来说可不便宜。
东西平时放在{teens}度的干燥地下室，从不暴晒。""",
    "desk": """我重启了{system}，清了缓存，又等了{teens}分钟，都没有用。
日志里只有{month}的第{hundreds}条，后面什么都没有。
{person}的权限跟我完全相同，在{system}上却没有问题。
{place}的网速很快，别的程序{few}秒就能打开{file}。
还有{few}天就到截止日期，{hundreds}个人都在等这份{file}。
毛病是{month}开始的，当时{role}整理{menu}，删掉了{few}条。
{place}的同事建议删掉配置，可我们担心{file}会丢。
错误编号是{hundreds}，有时前面还带{few}个零。
剩余空间还有{hundreds}GB，内存也才用了不到半数。
我们在{system}和{place}的另外那台机器上试了{few}遍，结果都相同。""",
}

ASKS = {
    "shop": """请问{part}我自己能修吗，还是要把{item}整个寄回去？
你们推荐换哪种{part}，寄到{place}总共要多少钱？
{item}出现这种情况正常吗，如果不正常，退回的运费谁出？
{part}应该拧到多紧，用什么工具检查？
我已经拿它{use}过，还能换成{model}{teens}吗？
{place}的维修点能不能在{month}之前帮忙看看？
要是在{place}的路上{part}又坏了，我该怎么办？
{brand}的保修管这个吗，还是只管{colour}面料的毛病？
新的{part}寄到之前，{item}还能继续用吗？
带全部{few}颗螺丝的{part}图纸在哪里可以找到？""",
    "desk": """改{menu}里的哪项设置才能把{file}找回来？
怎样从{app}导出{file}，又不丢掉{month}的记录？
{role}做的改动能不能撤销，比如退回到{few}天以前？
哪些人能看到{file}，怎样把{role}的这个权限收回来？
要在{system}上重装{app}吗，还是修复就够了？
{app}到底支不支持{system}，{place}那边有人负责吗？
能不能在你们那边看看我们的{file}，告诉我们哪里不对？
{app}最大能处理多大的{file}，按行数还是按兆算？
你们排查的时候，{person}怎样才能继续干活？
这个问题什么时候能修好，非要等到{few}.{teens}版吗？""",
}

ANSWERS = {
    "shop": """请把{part}拆下来，用干布擦净安装面，再用{few}牛米的力矩装回去。
序列号{hundreds}以前的{model}都有这个毛病，我们免费给您寄新的{part}。
请带上小票和{item}到分店，我们当场给您更换{part}。
{use}的话建议选{brand}{model}，它的{part}要厚{few}毫米。
暂时可以继续用，只要每{teens}公里检查{part}就行。
由维修点安装的{part}保修{few}年，自己装的不算。
{part}可以单独订购，寄到{place}的运费是{few}元。
{place}的维修点{month}还有空，修理大约要{few}个小时。
用温水冲洗，晾{teens}个小时，不要用任何溶剂。
非常抱歉，请再拍张{part}的照片发来，{few}天之内给您答复。""",
    "desk": """请打开{menu}，选中{file}，把行数改成{hundreds}以后再导入。
请用管理员身份登录，在{menu}里给{role}加上查看{file}的权限。
{app}的{few}.{teens}版已经修好了，请更新后重启{system}。
可以用{month}的备份恢复{file}，只会丢掉最后的{few}条。
在{system}上要到{menu}里清空缓存，大概需要{few}分钟。
这份{file}太大了，请分成{few}份，每份{hundreds}行。
我们已经把{place}网点的上限调到{hundreds}，请再试试。
请在{menu}里删掉{role}的旧配置，{file}本身不会动。
在下个版本之前，请从{menu}页面打开{file}，不要从首页打开。
请通过{menu}里的表单把{month}的日志发来，我们来查{file}。""",
}

FOLLOW_UPS = """那{person}手里{colour}的那件呢？
谢谢。{month}在{place}也是这样吗？
明白了。要是{person}来帮忙，得花多长时间？
{teens}个人用，准备{few}件够不够？
如果在{place}又遇到同样的情况怎么办？
这段时间里，{person}有什么不能做的吗？"""

FOLLOW_ANSWERS = """那边也适用，只是要多等{few}天。
最多{few}分钟，新手的话要{teens}分钟。
那就再联系我们，报上编号{hundreds}就行。
这要看{place}的情况，{month}最好再等等。
没有问题，只要每{few}天有人检查就好。"""

SYSTEMS = """你是户外用品店的客服，回答要简短亲切。
你是软件公司的技术支持，请用通俗的话回答。
请回答有关自行车、帐篷和配套软件的问题。"""

THOUGHTS = """顾客问的是{part}，编号{hundreds}比别的都重要。
先查{place}的库存，再按查到的结果回答。
这像是{month}的老问题，我看看还有没有{few}件。"""

POLITE = "你好，|您好！|早上好，|不好意思，|请教个问题，|麻烦帮我看一下，"
THANKS = "谢谢！|多谢了。|先谢谢了！|辛苦了。|非常感谢！"
